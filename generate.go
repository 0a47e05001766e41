package polar

//go:generate go run ./internal/gen
