package models

// Receipt is where the receipt of an order can be read. Polar makes receipts in the background: while Pending is true
// there is no URL yet, and the call is to be repeated a little later.
type Receipt struct {
	// URL is the address of the document, which works for a limited time.
	URL string `json:"url"`
	// Pending reports that the receipt is still being made.
	Pending bool `json:"-"`
}
