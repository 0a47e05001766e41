// Package snippets compiles the Go code in the documents of this repository, so that none of it goes stale.
//
// A block that begins with a package clause is compiled as it stands. Any other is taken for declarations, or else for the
// body of a function that returns an error. It may use what [predeclared] declares and every package of [packages].
package snippets
