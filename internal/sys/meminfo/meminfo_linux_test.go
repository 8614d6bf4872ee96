package meminfo

import (
	"os"
	"path/filepath"
	"testing"
)

func TestContainerLimit(t *testing.T) {
	const meminfo = "MemTotal:       1000000 kB\nMemFree:  5 kB\nMemAvailable:    800000 kB\n"
	for _, c := range []struct {
		name  string
		files map[string]string
		want  Memory
	}{
		{"none", map[string]string{"proc/meminfo": meminfo}, Memory{Total: 1000000 << 10, Available: 800000 << 10}},
		{"v2 without limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"},
			Memory{Total: 1000000 << 10, Available: 800000 << 10}},
		{"v2 parent's limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "1048576\n", "sys/fs/cgroup/a/memory.current": "1000000\n",
			"sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 300000\n"},
			Memory{Total: 1 << 20, Available: 1<<20 - 700000, Limit: 1 << 20}},
		{"v1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:memory:/x\n",
			"sys/fs/cgroup/memory/x/memory.limit_in_bytes": "2097152\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"},
			Memory{Total: 2 << 20, Available: 2 << 20, Limit: 2 << 20}},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			for name, text := range c.files {
				f := filepath.Join(root, name)
				if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(f, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := readUnder(root); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}
