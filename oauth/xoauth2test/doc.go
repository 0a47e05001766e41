// Package xoauth2test shows that package oauth and golang.org/x/oauth2 work with each other's types, although neither
// depends on the other. It is a module of its own so that no user's build has golang.org/x/oauth2 in it for this.
package xoauth2test
