package cpufeat

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

func model() string {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `HARDWARE\DESCRIPTION\System\CentralProcessor\0`, registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer k.Close()
	s, _, _ := k.GetStringValue("ProcessorNameString")
	return strings.TrimSpace(s)
}

// logicalProcessorInformation is SYSTEM_LOGICAL_PROCESSOR_INFORMATION of
// winnt.h on 64-bit systems; union is a CACHE_DESCRIPTOR where relationship is RelationCache.
type logicalProcessorInformation struct {
	mask         uintptr
	relationship uint32
	_            uint32 // the union is aligned to 8 bytes
	union        struct {
		level, associativity uint8
		lineSize             uint16
		size                 uint32
		kind                 uint32 // 0 unified, 1 instruction, 2 data
		_                    uint32
	}
}

const relationCache = 2

var getLogicalProcessorInformation = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetLogicalProcessorInformation")

func caches() Caches {
	var c Caches
	var bytes uint32
	getLogicalProcessorInformation.Call(0, uintptr(unsafe.Pointer(&bytes)))
	infos := make([]logicalProcessorInformation, bytes/uint32(unsafe.Sizeof(logicalProcessorInformation{})))
	if len(infos) == 0 {
		return c
	}
	ok, _, _ := getLogicalProcessorInformation.Call(uintptr(unsafe.Pointer(&infos[0])), uintptr(unsafe.Pointer(&bytes)))
	if ok == 0 {
		return c
	}
	var level uint8
	for _, info := range infos {
		u := info.union
		if info.relationship != relationCache || u.kind == 1 {
			continue
		}
		switch u.level {
		case 1:
			c.L1d = int(u.size)
		case 2:
			c.L2 = int(u.size)
		}
		if u.level >= level {
			level, c.LLC = u.level, int(u.size)
		}
	}
	return c
}
