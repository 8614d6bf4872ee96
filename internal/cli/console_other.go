//go:build !windows

package cli

// escapes says whether a terminal obeys escape sequences.
func escapes(int) bool { return true }
