package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What a volume or a snapshot is, apart from its files.
type record struct {
	// Follows from the name, so that what is asked for again is found again.
	ID   string
	Name string
	// The snapshot that a volume was filled from; the volume that a snapshot is of.
	Source  string
	Bytes   int64
	Created time.Time
}

// A folder of volumes or of snapshots, each with its record and its files. What is on it is whole.
type shelf struct {
	folder string
}

func newShelf(folder string) (shelf, error) {
	return shelf{folder}, os.MkdirAll(folder, 0o755)
}

func idOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:16])
}

// Nobody else's words become a path.
func isID(id string) bool {
	bytes, err := hex.DecodeString(id)
	return err == nil && len(bytes) == 16
}

func (s shelf) files(id string) string {
	return filepath.Join(s.folder, id, "files")
}

// The record of an entry, or fs.ErrNotExist.
func (s shelf) find(id string) (record, error) {
	var found record
	if !isID(id) {
		return found, fs.ErrNotExist
	}
	text, err := os.ReadFile(filepath.Join(s.folder, id, "record.json"))
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(text, &found)
}

// In the order of their IDs.
func (s shelf) all() ([]record, error) {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil, err
	}
	var all []record
	for _, entry := range entries {
		found, err := s.find(entry.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	slices.SortFunc(all, func(a, b record) int { return strings.Compare(a.ID, b.ID) })
	return all, nil
}

// Adds an entry with a copy of the files in `source`, or without files if that is empty.
func (s shelf) add(entry record, source string) error {
	fresh := filepath.Join(s.folder, entry.ID+".fresh")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	files := filepath.Join(fresh, "files")
	if err := os.MkdirAll(files, 0o755); err != nil {
		return err
	}
	if source != "" {
		// Owners, modes, times, links and attributes too.
		copying := exec.Command("cp", "--archive", source+"/.", files)
		if said, err := copying.CombinedOutput(); err != nil {
			return errors.New("cp: " + strings.TrimSpace(string(said)))
		}
	}
	text, err := json.MarshalIndent(entry, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fresh, "record.json"), text, 0o644); err != nil {
		return err
	}
	return os.Rename(fresh, filepath.Join(s.folder, entry.ID))
}

// Succeeds when there is none.
func (s shelf) remove(id string) error {
	if !isID(id) {
		return nil
	}
	return os.RemoveAll(filepath.Join(s.folder, id))
}
