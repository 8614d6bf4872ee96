package cpufeat

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// HasDotProd reports the SDOT and UDOT instructions (FEAT_DotProd). Every
// Apple processor that runs Go on arm64 has them.
func HasDotProd() bool { return cpu.ARM64.HasASIMDDP || runtime.GOOS == "darwin" }

func features() []Feature {
	return []Feature{
		{"asimd", cpu.ARM64.HasASIMD}, {"asimddp", HasDotProd()}, {"asimdhp", cpu.ARM64.HasASIMDHP},
		{"i8mm", cpu.ARM64.HasI8MM}, {"sve", cpu.ARM64.HasSVE}, {"sve2", cpu.ARM64.HasSVE2},
	}
}
