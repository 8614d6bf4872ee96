package read

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

// objects are lines for which the quick way must say what encoding/json says.
var objects = []string{
	`{}`, `{ }`, ` {"a":1} `, `{"a":"b"}`, `{"a" : "b" , "c" : "d"}`, `{"a":"b","a":"c"}`, `{"a":"b",}`, `{,}`, `{"a"}`, `{"a":}`,
	`{"a":"line\nline \"quoted\" back\\slash \/ \t\b\f\r"}`, `{"a":"\u00e9\u2028\ud83d\ude00"}`, `{"a":"\ud83d x"}`, `{"a":"\ude00"}`, `{"a":"\u00E9\u00g9"}`, `{"a":"\u00"}`, `{"a":"\x"}`, `{"a":"\`,
	`{"\u0061\n":"b","a\n":null}`, `{"a":"tab	tab"}`, "{\"a\":\"12345678\x0112345678\"}", "{\"a\":\"bad \xff\xfe bytes\"}", "{\"a\xff\":\"b\"}", `{"a":"é ü “x” 😀"}`,
	`{"a":[1,2,{"b":"}]\""}],"c":{"d":[]},"e":-1.5e3,"f":true,"g":null}`, `{"a":01}`, `{"a":[1,]}`, `{"a":[}`, `{"a":{]}`, `{"a":tru}`, `{"a":1 2}`, `{"a":"b"} x`, `{"a":"b"}{"c":1}`, `{"a":"b"`, `{"a":"b`, `{"a`, `{`, ``, `[1]`, `"a"`, `null`, `{"a": 1	,"b":"x"	}`,
}

func checkObject(t *testing.T, line string) {
	t.Helper()
	var want map[string]json.RawMessage
	wantErr := json.Unmarshal([]byte(line), &want)
	got, err := parseObject([]byte(line))
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: error %v, encoding/json says %v", line, err, wantErr)
	}
	if err != nil {
		return
	}
	if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
		t.Fatalf("%q: names %q, encoding/json says %q", line, a, b)
	}
	for name, raw := range got {
		if string(raw) != string(want[name]) {
			t.Errorf("%q: %q is %s, encoding/json says %s", line, name, raw, want[name])
		}
		var text string
		isString := raw[0] == '"' && json.Unmarshal(want[name], &text) == nil
		if s, ok := parseString(raw); s != text || ok != isString {
			t.Errorf("%q: %q reads %q, %v, encoding/json says %q, %v", line, name, s, ok, text, isString)
		}
	}
}

func TestObject(t *testing.T) {
	quick := 0
	for _, line := range objects {
		checkObject(t, line)
		if _, ok := quickObject([]byte(line)); ok {
			quick++
		}
		for i := range line { // cut short, and with a byte too many
			checkObject(t, line[:i])
			checkObject(t, line[:i]+`"`+line[i:])
			checkObject(t, line[:i]+`\`+line[i:])
		}
	}
	if quick < 10 {
		t.Errorf("%d lines are read the quick way: the test compares little", quick)
	}
}

func FuzzObject(f *testing.F) {
	for _, line := range objects {
		f.Add(line)
	}
	f.Fuzz(checkObject)
}
