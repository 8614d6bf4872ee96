package par

import (
	"math"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// DefaultWorkers is the number of workers that this process may keep busy: the
// cores of its affinity mask, or fewer where a cgroup's CPU quota says so,
// rounded down (a worker that is throttled in the middle of a part makes all
// others wait), at least 1.
func DefaultWorkers() int {
	n := runtime.NumCPU() // honours the affinity mask
	if q := CPUQuota(); q < float64(n) {
		n = int(q)
	}
	return min(max(n, 1), MaxWorkers)
}

// CPUQuota returns the number of cores' worth of time that the process's
// cgroups (version 1 or 2) allow, or +Inf where there is no limit.
func CPUQuota() float64 {
	if runtime.GOOS != "linux" {
		return math.Inf(1)
	}
	return cgroupQuota("/")
}

// cgroupQuota reads the quota below the file system root given, which tests
// replace. Every level up to the hierarchy's root may set a limit; the
// smallest counts.
func cgroupQuota(root string) float64 {
	quota := math.Inf(1)
	self, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return quota
	}
	for _, line := range strings.Split(string(self), "\n") {
		// hierarchy-ID:controller-list:cgroup-path (man 7 cgroups)
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		var mount string
		read := quotaV1
		switch {
		case f[0] == "0" && f[1] == "":
			mount, read = "sys/fs/cgroup", quotaV2
		case hasField(f[1], "cpu"):
			mount = "sys/fs/cgroup/" + f[1]
			if _, err := os.Stat(filepath.Join(root, mount)); err != nil {
				mount = "sys/fs/cgroup/cpu"
			}
		default:
			continue
		}
		for p := path.Clean("/" + f[2]); ; p = path.Dir(p) {
			quota = min(quota, read(filepath.Join(root, mount, p)))
			if p == "/" {
				break
			}
		}
	}
	return quota
}

func hasField(list, want string) bool {
	for _, s := range strings.Split(list, ",") {
		if s == want {
			return true
		}
	}
	return false
}

// quotaV2 reads cpu.max: "max 100000" or "150000 100000", in microseconds.
func quotaV2(dir string) float64 {
	b, err := os.ReadFile(filepath.Join(dir, "cpu.max"))
	if err != nil {
		return math.Inf(1)
	}
	f := strings.Fields(string(b))
	if len(f) != 2 {
		return math.Inf(1)
	}
	return ratio(f[0], f[1])
}

// quotaV1 reads cpu.cfs_quota_us (-1 for none) and cpu.cfs_period_us.
func quotaV1(dir string) float64 {
	q, err := os.ReadFile(filepath.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return math.Inf(1)
	}
	p, err := os.ReadFile(filepath.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return math.Inf(1)
	}
	return ratio(strings.TrimSpace(string(q)), strings.TrimSpace(string(p)))
}

func ratio(quota, period string) float64 {
	q, err1 := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err1 != nil || err2 != nil || q <= 0 || p <= 0 {
		return math.Inf(1) // "max" and -1 say that there is no limit
	}
	return q / p
}
