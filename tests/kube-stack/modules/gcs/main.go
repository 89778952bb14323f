// Google Cloud Storage under its public names: fake-gcs-server, behind a stand-in for Google's token endpoint.
//
// The store wants the bearer token that the endpoint gives for a JWT signed with the service account's key. Signed
// URLs have no token and are refused.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsouza/fake-gcs-server/fakestorage"
	"github.com/golang-jwt/jwt/v5"
)

const (
	account   = "velero@stack.iam.gserviceaccount.com"
	storeHost = "storage.googleapis.com"
	tokenHost = "oauth2.googleapis.com"
	tokenURI  = "https://" + tokenHost + "/token"
)

func main() {
	public := flag.String("public", "", "address for HTTPS")
	plain := flag.String("plain", "", "address for HTTP")
	certificate := flag.String("certificate", "", "of both names")
	key := flag.String("key", "", "of the certificate")
	keys := flag.String("keys", "", "folder to write the service account's keys to")
	flag.Parse()

	valid, err := newKey(filepath.Join(*keys, "key.json"))
	check(err)
	// Of the same account, but the endpoint does not know it.
	_, err = newKey(filepath.Join(*keys, "deleted-key.json"))
	check(err)
	store, err := fakestorage.NewServerWithOptions(fakestorage.Options{
		NoListener:  true,
		ExternalURL: "https://" + storeHost,
	})
	check(err)

	google := &google{account: &valid.PublicKey, store: store.HTTPHandler()}
	go func() { check(http.ListenAndServe(*plain, google)) }()
	check(http.ListenAndServeTLS(*public, *certificate, *key, google))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Makes a key of the service account, and writes it as Google does.
func newKey(path string) (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	document, err := json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     "stack",
		"private_key_id": rand.Text(),
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email":   account,
		"token_uri":      tokenURI,
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	return key, os.WriteFile(path, document, 0o600)
}

type google struct {
	account *rsa.PublicKey
	store   http.Handler
	tokens  sync.Map
}

func (g *google) ServeHTTP(answer http.ResponseWriter, request *http.Request) {
	if request.Host == tokenHost {
		g.giveToken(answer, request)
		return
	}
	token, _ := strings.CutPrefix(request.Header.Get("Authorization"), "Bearer ")
	if _, given := g.tokens.Load(token); !given {
		respond(answer, http.StatusUnauthorized, map[string]any{
			"error": map[string]any{"code": http.StatusUnauthorized, "message": "Invalid Credentials"},
		})
		return
	}
	g.store.ServeHTTP(answer, request)
}

// What a JWT says besides who made it, when and for whom.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

func (c claims) Validate() error {
	if c.Scope == "" {
		return errors.New("no scope")
	}
	return nil
}

func (g *google) giveToken(answer http.ResponseWriter, request *http.Request) {
	known := func(*jwt.Token) (any, error) { return g.account, nil }
	_, err := jwt.ParseWithClaims(request.FormValue("assertion"), &claims{}, known,
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
		jwt.WithIssuer(account), jwt.WithAudience(tokenURI), jwt.WithExpirationRequired())
	if err != nil {
		log.Print("refused: ", err)
		description := "Invalid JWT: " + err.Error()
		if errors.Is(err, jwt.ErrTokenSignatureInvalid) {
			// The words of Google.
			description = "Invalid JWT Signature."
		}
		respond(answer, http.StatusBadRequest, map[string]any{
			"error": "invalid_grant", "error_description": description,
		})
		return
	}
	token := rand.Text()
	g.tokens.Store(token, nil)
	respond(answer, http.StatusOK, map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": 3600,
	})
}

func respond(answer http.ResponseWriter, status int, body map[string]any) {
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(status)
	if err := json.NewEncoder(answer).Encode(body); err != nil {
		log.Print(err)
	}
}
