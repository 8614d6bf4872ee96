// Command cria runs, converts and measures Llama 2 models. `cria --help` lists
// its commands.
package main

import (
	"os"

	"github.com/cria-llm/cria/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
