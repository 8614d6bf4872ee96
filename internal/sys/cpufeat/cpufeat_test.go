package cpufeat

import (
	"runtime"
	"testing"
)

func TestThisMachine(t *testing.T) {
	t.Logf("%s %+v %+v", Model(), CacheSizes(), Features())
	if runtime.GOOS != "linux" {
		return
	}
	if Model() == "" {
		t.Error("no processor name")
	}
	c := CacheSizes()
	if c.L1d > c.L2 || c.L2 > c.LLC {
		t.Errorf("caches shrink with their level: %+v", c)
	}
}
