// Package mmaptest helps tests of mapped files that are cut while in use.
package mmaptest

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// SkipUnlessFaultsAreLocated reads bytes that are gone and skips the test where the
// fault comes without an address. It does so in qemu-user only, which emulates
// arm64.
func SkipUnlessFaultsAreLocated(t testing.TB, gone []byte) {
	t.Helper()
	if runtime.GOARCH != "arm64" {
		return
	}
	var read byte
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		t.Helper()
		switch r := recover(); r.(type) {
		case nil:
			t.Errorf("a byte that is gone was read: %d", read)
		case interface{ Addr() uintptr }:
		default:
			t.Skip("this system does not say where a fault was, as emulators do not")
		}
	}()
	read = gone[0]
}
