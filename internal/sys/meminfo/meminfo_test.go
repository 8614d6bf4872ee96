package meminfo

import "testing"

func TestRead(t *testing.T) {
	m := Read()
	if m.Total == 0 {
		t.Skip("this system does not say how much memory it has")
	}
	if m.Available > m.Total {
		t.Errorf("available %d is more than total %d", m.Available, m.Total)
	}
}

func TestPeakRSSGrows(t *testing.T) {
	before := PeakRSS()
	if before == 0 {
		t.Skip("this system does not say how much memory a process used")
	}
	const size = 64 << 20
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i)
	}
	if after := PeakRSS(); after < before+size/2 {
		t.Errorf("peak %d before and %d after touching %d bytes", before, after, len(b))
	}
}
