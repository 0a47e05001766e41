package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Credential is what a client shows to Polar: a [Token], a [TokenFunc], or [Anonymous]. There are no others.
type Credential interface {
	// authorization returns the source of the Authorization header's value, or nil when none is to be sent.
	authorization() (authorization, error)
}

// authorization makes the value of an Authorization header. Clients and credentials keep tokens only inside of func
// values, which format as an address: package fmt calls no methods of unexported members, nor any for a verb that does
// not fit, so a type that merely knows how to print itself would be printed all the same.
type authorization func(ctx context.Context) (string, error)

type token struct{ reveal func() string }

// Token is the credential for an access token as Polar shows it: of an organization (polar_oat_…), of an OAuth2 user or
// organization (polar_at_…), of a customer or member session (polar_cst_…, polar_mst_…). Tokens of production are not valid
// in the sandbox and the other way round. What is wrong with a token, such as being empty, is said by the function that
// makes the client.
//
// The credential prints as [REDACTED] in package fmt, in JSON and in slog.
func Token(accessToken string) Credential {
	return &token{func() string { return accessToken }}
}

func (t *token) authorization() (authorization, error) {
	if err := checkToken(t.reveal()); err != nil {
		return nil, fmt.Errorf("polar: token %w", err)
	}
	value := "Bearer " + t.reveal()
	return func(context.Context) (string, error) { return value, nil }, nil
}

const redacted = "[REDACTED]"

// Format writes [REDACTED], whatever the verb.
func (*token) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText returns [REDACTED], for encoders of JSON and loggers.
func (*token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// TokenFunc returns the token to use, for tokens that change: OAuth2 access tokens, tokens read from a secret store. It is
// called for each attempt of a call, so it should cache; with the context of that attempt, which carries the
// [Operation]; and from several goroutines at once. An error of it ends the call, unretried, and is wrapped by the
// call's error.
type TokenFunc func(ctx context.Context) (string, error)

func (f TokenFunc) authorization() (authorization, error) {
	if f == nil {
		return nil, errors.New("polar: TokenFunc is nil")
	}
	return func(ctx context.Context) (string, error) {
		token, err := f(ctx)
		if err != nil {
			return "", fmt.Errorf("TokenFunc: %w", err)
		}
		if err := checkToken(token); err != nil {
			return "", fmt.Errorf("token of TokenFunc %w", err)
		}
		return "Bearer " + token, nil
	}, nil
}

// Anonymous is the absence of a credential. A client with it can make the calls that need none, such as the validation
// of a license key in a desktop program; every other call fails with [ErrNoCredential] before anything is sent.
const Anonymous anonymous = 0

type anonymous int

func (anonymous) authorization() (authorization, error) { return nil, nil }

// checkToken says what is wrong with a token, without repeating any part of it.
func checkToken(token string) error {
	if token == "" {
		return errors.New("is empty: set it, or pass polar.Anonymous for calls that need none")
	}
	for i := range len(token) {
		if c := token[i]; c <= ' ' || c > '~' {
			return errors.New("has a space, a line end or another character that tokens never have: " +
				"trim what was read from a file, and leave the word Bearer out")
		}
	}
	return nil
}

func resolve(credential Credential) (authorization, error) {
	if credential == nil {
		return nil, errors.New("polar: credential is nil: pass a Token, a TokenFunc or Anonymous")
	}
	return credential.authorization()
}
