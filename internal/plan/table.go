package plan

import (
	_ "embed"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Table is what devices can do and what machines with them cost to rent.
type Table struct {
	Date      string     `yaml:"date" json:"date"` // of the prices: year and month
	Devices   []Device   `yaml:"devices" json:"devices"`
	Instances []Instance `yaml:"instances" json:"instances"`
}

// Device is an accelerator, or a whole computer.
type Device struct {
	Name      string  `yaml:"name" json:"name"`
	Memory    float64 `yaml:"memory_gb" json:"memory_gb"`           // 10^9 bytes
	Bandwidth float64 `yaml:"bandwidth_gbps" json:"bandwidth_gbps"` // 10^9 bytes a second
	TFLOPS    float64 `yaml:"tflops" json:"tflops"`                 // dense peak of matrix products, 10^12 a second
	Watts     float64 `yaml:"watts" json:"watts"`
}

// Instance is a machine for rent with some devices.
type Instance struct {
	Name       string  `yaml:"name" json:"name"`
	Device     string  `yaml:"device" json:"device"`
	Count      int     `yaml:"count" json:"count"`
	USDPerHour float64 `yaml:"usd_per_hour" json:"usd_per_hour"`
}

//go:embed table.yaml
var builtin []byte

// BuiltinTable is the text of the table that is used where no other is given.
func BuiltinTable() []byte { return slices.Clone(builtin) }

// maxTable is far above what any list of machines needs.
const maxTable = 4 << 20

// ReadTable reads a table of the user's, or the built-in one for "".
func ReadTable(path string) (*Table, error) {
	text, name := builtin, "the built-in table"
	if path != "" {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if info.Size() > maxTable {
			return nil, fmt.Errorf("%s: %d bytes; a table has at most %d", path, info.Size(), maxTable)
		}
		if text, err = os.ReadFile(path); err != nil {
			return nil, err
		}
		name = path
	}
	t := &Table{}
	if err := yaml.UnmarshalWithOptions(text, t, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", name, yaml.FormatError(err, false, true))
	}
	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

var yearMonth = regexp.MustCompile(`^\d{4}-\d{2}(-\d{2})?$`)

func (t *Table) validate() error {
	if !yearMonth.MatchString(t.Date) {
		return fmt.Errorf("date is %q; the year and month of the prices are needed, as 2023-09", t.Date)
	}
	if len(t.Devices) == 0 {
		return fmt.Errorf("devices: there is none")
	}
	seen := map[string]bool{}
	for i := range t.Devices {
		d := &t.Devices[i]
		if d.Name == "" || seen[d.Name] {
			return fmt.Errorf("devices: number %d has the name %q, which is empty or there already", i+1, d.Name)
		}
		seen[d.Name] = true
		if err := d.validate(); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for i, in := range t.Instances {
		switch {
		case in.Name == "" || names[in.Name]:
			return fmt.Errorf("instances: number %d has the name %q, which is empty or there already", i+1, in.Name)
		case !seen[in.Device]:
			return fmt.Errorf("instance %s: there is no device %q", in.Name, in.Device)
		case in.Count < 1 || in.Count > 1<<20:
			return fmt.Errorf("instance %s: count is %d; 1 or more is needed", in.Name, in.Count)
		case !positive(in.USDPerHour):
			return fmt.Errorf("instance %s: usd_per_hour is %g; a price above 0 is needed", in.Name, in.USDPerHour)
		}
		names[in.Name] = true
	}
	return nil
}

func (d *Device) validate() error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"memory_gb", d.Memory}, {"bandwidth_gbps", d.Bandwidth}, {"tflops", d.TFLOPS}, {"watts", d.Watts}} {
		if !positive(f.value) {
			return fmt.Errorf("device %s: %s is %g; a number above 0 is needed", d.Name, f.name, f.value)
		}
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 0) }

// Device finds a device by its name.
func (t *Table) Device(name string) (Device, error) {
	names := make([]string, len(t.Devices))
	for i, d := range t.Devices {
		if names[i] = d.Name; d.Name == name {
			return d, nil
		}
	}
	return Device{}, fmt.Errorf("plan: there is no device %q; the table has %s", name, strings.Join(names, ", "))
}

// cheapest is the lowest price of one device for an hour, and whose it is.
func (t *Table) cheapest(device string) (usd float64, from string, ok bool) {
	for _, in := range t.Instances {
		if p := in.USDPerHour / float64(in.Count); in.Device == device && (!ok || p < usd) {
			usd, from, ok = p, in.Name, true
		}
	}
	return usd, from, ok
}
