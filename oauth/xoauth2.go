package oauth

import (
	"context"
	"net/http"
	"strings"

	"github.com/polar-go/polar"
)

// FromTokenSource makes a credential of a token source of golang.org/x/oauth2, which this module does not depend on; T is
// *oauth2.Token and need not be written.
//
//	client, err := polar.New(oauth.FromTokenSource(tokenSource))
//
// The source is asked for each attempt of a call, so it should cache, as those of that package do, and it has to be safe
// for concurrent use. It gets no context. It saves no rotated refresh tokens, which [Source] does.
func FromTokenSource[T interface {
	Valid() bool
	SetAuthHeader(*http.Request)
}](src interface{ Token() (T, error) }) polar.Credential {
	if src == nil {
		return polar.TokenFunc(nil) // refused by polar.New
	}
	return polar.TokenFunc(func(context.Context) (string, error) {
		t, err := src.Token()
		if err != nil {
			return "", failWith("", "token source", err)
		}
		if !t.Valid() {
			return "", fail("", "the token source returned a token that is empty or has expired")
		}
		req := &http.Request{Header: http.Header{}}
		t.SetAuthHeader(req)
		kind, token, ok := strings.Cut(req.Header.Get("Authorization"), " ")
		if !ok || !strings.EqualFold(kind, "Bearer") {
			return "", fail("", "the token source returned a token that is not of the type Bearer")
		}
		return token, nil
	})
}

// TokenSource is a [Source] in the form of another package: see [ToTokenSource].
type TokenSource[T any] struct {
	ctx     context.Context
	src     *Source
	convert func(*Token) T
}

// ToTokenSource gives a source the method of a token source of golang.org/x/oauth2, for libraries that want one. The
// function makes their token, without a refresh token, so that nothing but src renews it:
//
//	ts := oauth.ToTokenSource(ctx, src, func(t *oauth.Token) *oauth2.Token {
//		return &oauth2.Token{AccessToken: t.AccessToken, TokenType: "Bearer", Expiry: t.Expiry}
//	})
//
// The context is for all calls, since the method has none. Do not wrap the result in oauth2.ReuseTokenSource: src caches,
// and knows when a token has to go before its time.
func ToTokenSource[T any](ctx context.Context, src *Source, convert func(*Token) T) *TokenSource[T] {
	return &TokenSource[T]{ctx, src, convert}
}

// Token returns a good token, as [Source.Token] does.
func (s *TokenSource[T]) Token() (T, error) {
	var zero T
	if s.src == nil || s.convert == nil {
		return zero, fail(ErrConfig, "ToTokenSource got no source, or no function that converts its tokens")
	}
	t, err := s.src.Token(s.ctx)
	if err != nil {
		return zero, err
	}
	return s.convert(t), nil
}
