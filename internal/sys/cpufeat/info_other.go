//go:build !linux && !darwin && !windows

package cpufeat

func model() string { return "" }

func caches() Caches { return Caches{} }
