package gguf

import "errors"

// Open maps a GGUF file and checks all of it but the tensors' contents. Opening
// any part of a split set ("…-00001-of-00003.gguf") opens the set.
func Open(path string) (*File, error) { return nil, errors.ErrUnsupported }

func typeName(any) string { return "" }
