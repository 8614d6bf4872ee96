package gguf

import (
	"math"

	"github.com/cria-llm/cria/internal/format/ferr"
)

// Get returns a metadata value as it stands in the file.
func (f *File) Get(key string) (value any, ok bool) {
	i, ok := f.index[key]
	if !ok {
		return nil, false
	}
	return f.kvs[i].Value, true
}

// GetString returns a string. As with all typed getters, ok tells whether the
// key is there, and a value of another type is an error.
func (f *File) GetString(key string) (value string, ok bool, err error) {
	return getAs[string](f, key, "a string")
}

// GetBool returns a bool.
func (f *File) GetBool(key string) (value, ok bool, err error) {
	return getAs[bool](f, key, "a bool")
}

// GetUint returns a whole number that is not negative, of any integer type:
// writers differ in the type that they choose.
func (f *File) GetUint(key string) (value uint64, ok bool, err error) {
	v, ok := f.Get(key)
	if !ok {
		return 0, false, nil
	}
	var signed int64
	switch v := v.(type) {
	case uint8:
		return uint64(v), true, nil
	case uint16:
		return uint64(v), true, nil
	case uint32:
		return uint64(v), true, nil
	case uint64:
		return v, true, nil
	case int8:
		signed = int64(v)
	case int16:
		signed = int64(v)
	case int32:
		signed = int64(v)
	case int64:
		signed = v
	default:
		return 0, true, f.wrongType(key, v, "a whole number")
	}
	if signed < 0 {
		return 0, true, ferr.New(ferr.Malformed, f.path, key, signed, "a number that is not negative is expected")
	}
	return uint64(signed), true, nil
}

// GetFloat returns a finite float32 or float64.
func (f *File) GetFloat(key string) (value float64, ok bool, err error) {
	v, ok := f.Get(key)
	if !ok {
		return 0, false, nil
	}
	switch v := v.(type) {
	case float32:
		value = float64(v)
	case float64:
		value = v
	default:
		return 0, true, f.wrongType(key, v, "a float")
	}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return 0, true, ferr.New(ferr.Malformed, f.path, key, value, "a finite number is expected")
	}
	return value, true, nil
}

// GetStrings returns an array of strings.
func (f *File) GetStrings(key string) (value []string, ok bool, err error) {
	return getAs[[]string](f, key, "an array of strings")
}

// GetFloat32s returns an array of float32, unchecked for NaN.
func (f *File) GetFloat32s(key string) (value []float32, ok bool, err error) {
	return getAs[[]float32](f, key, "an array of float32")
}

// GetInt32s returns an array of int32; one of uint32 whose values fit is taken.
func (f *File) GetInt32s(key string) (value []int32, ok bool, err error) {
	v, _ := f.Get(key)
	if u, isU := v.([]uint32); isU {
		value = make([]int32, len(u))
		for i, x := range u {
			if x > math.MaxInt32 {
				return nil, true, ferr.New(ferr.Malformed, f.path, key, x, "element %d does not fit in an int32", i)
			}
			value[i] = int32(x)
		}
		return value, true, nil
	}
	return getAs[[]int32](f, key, "an array of int32")
}

func getAs[T any](f *File, key, want string) (value T, ok bool, err error) {
	v, ok := f.Get(key)
	if !ok {
		return value, false, nil
	}
	value, match := v.(T)
	if !match {
		return value, true, f.wrongType(key, v, want)
	}
	return value, true, nil
}

func (f *File) wrongType(key string, v any, want string) error {
	return ferr.New(ferr.Malformed, f.path, key, nil, "it has type %s; %s is expected", TypeName(v), want)
}
