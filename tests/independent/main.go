// Reads a log's folder with code that is not wugan's: Go's sumdb/note and sumdb/tlog.
//
//	independent [-old CHECKPOINT]... [-cosigner VKEY]... [-cosigned CHECKPOINT] FOLDER VKEY
//
// FOLDER holds the log as C2SP tlog-tiles names its files, and its latest checkpoint. VKEY is the verifier key of the log.
// It verifies the checkpoint's signature, the inclusion of every entry, the consistency of every two checkpoints, and every
// cosigner's signature (under the checkpoint that -cosigned names, else under the latest), says so in one line and exits 0;
// else it says what is wrong and exits 1.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var old, cosigners list
	flag.Var(&old, "old", "an older checkpoint `file` (repeatable)")
	flag.Var(&cosigners, "cosigner", "the verifier `key` of a cosigner (repeatable)")
	cosigned := flag.String("cosigned", "", "an older checkpoint `file` with the cosignatures")
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	report, err := check(flag.Arg(0), flag.Arg(1), old, *cosigned, cosigners)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(report)
}

func check(folder, vkey string, old []string, cosigned string, cosigners []string) (string, error) {
	log, err := note.NewVerifier(vkey)
	if err != nil {
		return "", err
	}
	verifiers := []note.Verifier{log}
	for _, key := range cosigners {
		cosigner, err := newCosigner(key)
		if err != nil {
			return "", err
		}
		verifiers = append(verifiers, cosigner)
	}
	latest := filepath.Join(folder, "checkpoint")
	if cosigned == "" {
		cosigned = latest
	}
	end, err := openSigned(cosigned, log, verifiers)
	if err != nil {
		return "", err
	}
	tree, err := openSigned(latest, log, []note.Verifier{log})
	if err != nil {
		return "", err
	}
	hashes := tlog.TileHashReader(tree, tiles(folder))
	if err := checkEntries(folder, tree, hashes); err != nil {
		return "", err
	}
	trees := []tlog.Tree{end, tree}
	for _, path := range old {
		older, err := openSigned(path, log, []note.Verifier{log})
		if err != nil {
			return "", fmt.Errorf("%s: %w", path, err)
		}
		trees = append(trees, older)
	}
	if err := checkTrees(trees, hashes); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d entries, %d older checkpoints, %d cosignatures", tree.N, len(old), len(cosigners)), nil
}

// openSigned verifies a checkpoint that all these keys signed and reads its three lines.
func openSigned(path string, log note.Verifier, verifiers []note.Verifier) (tlog.Tree, error) {
	bytes, err := os.ReadFile(path)
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(bytes, note.VerifierList(verifiers...))
	if err != nil {
		return tlog.Tree{}, err
	}
	if len(opened.Sigs) != len(verifiers) {
		return tlog.Tree{}, fmt.Errorf("%d of %d keys signed %s", len(opened.Sigs), len(verifiers), path)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != log.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return tlog.Tree{}, err
	}
	return tlog.Tree{N: size, Hash: root}, nil
}

// checkEntries proves each entry of each bundle to be in the tree.
func checkEntries(folder string, tree tlog.Tree, hashes tlog.HashReader) error {
	for first := int64(0); first < tree.N; first += width {
		bundle := tlog.Tile{H: height, L: -1, N: first / width, W: int(min(width, tree.N-first))}
		bytes, err := read(folder, bundle)
		if err != nil {
			return err
		}
		for index := first; index < first+int64(bundle.W); index++ {
			if len(bytes) < 2 || len(bytes)-2 < int(binary.BigEndian.Uint16(bytes)) {
				return fmt.Errorf("%s is too short", path(bundle))
			}
			length := 2 + int(binary.BigEndian.Uint16(bytes))
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err == nil {
				err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(bytes[2:length]))
			}
			if err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			bytes = bytes[length:]
		}
		if len(bytes) != 0 {
			return fmt.Errorf("%s is too long", path(bundle))
		}
	}
	return nil
}

// checkTrees proves of every two trees that the larger one begins with the smaller.
func checkTrees(trees []tlog.Tree, hashes tlog.HashReader) error {
	for _, old := range trees {
		if old.N == 0 {
			// Every log begins with nothing, of which there is no proof.
			if old.Hash != tlog.Hash(sha256.Sum256(nil)) {
				return errors.New("a checkpoint of no entries with a root")
			}
			continue
		}
		for _, tree := range trees {
			if old.N > tree.N {
				continue
			}
			proof, err := tlog.ProveTree(tree.N, old.N, hashes)
			if err == nil {
				err = tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
			}
			if err != nil {
				return fmt.Errorf("%d entries after %d: %w", tree.N, old.N, err)
			}
		}
	}
	return nil
}

// tiles reads tiles of hashes from a folder.
type tiles string

func (folder tiles) Height() int { return height }

func (folder tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		bytes, err := read(string(folder), tile)
		if err != nil {
			return nil, err
		}
		all = append(all, bytes)
	}
	return all, nil
}

func (folder tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func read(folder string, tile tlog.Tile) ([]byte, error) {
	return os.ReadFile(filepath.Join(folder, path(tile)))
}

// path is the specification's: without the height that Go's has, and with another word for entries.
func path(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	return "tile/" + strings.Replace(path, "data/", "entries/", 1)
}

// cosigner verifies C2SP tlog-cosignature v1, which sumdb/note does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func newCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("malformed cosigner key")
	}
	encoded, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(encoded) != 1+ed25519.PublicKeySize || encoded[0] != 4 {
		return nil, errors.New("malformed cosigner key")
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), encoded...))
	if fmt.Sprintf("%x", hash[:4]) != parts[1] {
		return nil, errors.New("cosigner key with another id")
	}
	return &cosigner{parts[0], binary.BigEndian.Uint32(hash[:]), encoded[1:]}, nil
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", binary.BigEndian.Uint64(signature), text)
	return ed25519.Verify(c.key, []byte(message), signature[8:])
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string { return strings.Join(*l, " ") }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

func min(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

const (
	height = 8
	width  = 1 << height
)
