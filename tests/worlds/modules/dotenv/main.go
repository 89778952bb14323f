// Reads credential files as those do who get them from the charm: Velero with a reader of its own, its
// plugins and its older releases with godotenv. One line of JSON for each file.
package main

import (
	"encoding/json"
	"os"

	"github.com/joho/godotenv"
	"github.com/vmware-tanzu/velero/pkg/util/dotenv"
)

func main() {
	out := json.NewEncoder(os.Stdout)
	for _, path := range os.Args[1:] {
		read := map[string]map[string]string{}
		for name, reader := range map[string]func(...string) (map[string]string, error){
			"velero": dotenv.Read, "godotenv": godotenv.Read,
		} {
			values, err := reader(path)
			if err != nil {
				values = map[string]string{"error": err.Error()}
			}
			read[name] = values
		}
		if err := out.Encode(read); err != nil {
			panic(err)
		}
	}
}
