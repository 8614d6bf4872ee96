package cli

import "golang.org/x/sys/windows"

// escapes says whether a terminal obeys escape sequences, which Windows'
// console does only where it is asked to.
func escapes(fd int) bool {
	h := windows.Handle(fd)
	var mode uint32
	if err := windows.GetConsoleMode(h, &mode); err != nil {
		return false
	}
	return windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
