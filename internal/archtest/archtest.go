// Package archtest holds no code: its test reads the import graph of the
// module and fails where a package imports upward, with the reason.
package archtest
