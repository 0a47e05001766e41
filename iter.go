package polar

import (
	"errors"
	"fmt"
	"iter"
)

// Page is one page of a list.
type Page[T any] struct {
	Items      []T        `json:"items"`
	Pagination Pagination `json:"pagination"`
}

// Pagination says where a page stands in its list.
type Pagination struct {
	TotalCount int `json:"total_count"` // items in the whole list; some lists say 0 for a page beyond their end
	MaxPage    int `json:"max_page"`    // number of the last page, by the limit that Polar used, which is at most 100
	// HasNextPage is only in answers of the events list with cursor pagination, which have no other numbers.
	HasNextPage *bool `json:"has_next_page,omitzero"`
}

const maxLimit = 100

// paged is implemented by the parameters of lists.
type paged[P any] interface {
	*P
	paging() (page, limit *int)
}

// all walks through the pages of a list: from the page that params asks for, the first by default, to the last one that
// Polar reports. A short page does not end it. Without a limit of its own it asks for pages of 100. It works on a copy of
// params, so the same iterator can be ranged over again.
func all[P any, PP paged[P], T any](params PP, list func(PP) (*Page[T], error)) iter.Seq2[*T, error] {
	var first P
	if params != nil {
		first = *params
	}
	return func(yield func(*T, error) bool) {
		p := first
		number, limit := PP(&p).paging()
		if *limit == 0 {
			*limit = maxLimit
		}
		for *number = max(*number, 1); ; *number++ {
			// each request gets a copy, so that nothing that keeps its parameters sees them change
			asked := p
			page, err := list(&asked)
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range page.Items {
				if !yield(&page.Items[i], nil) {
					return
				}
			}
			if !page.continues(*number) {
				return
			}
		}
	}
}

// continues reports whether a page follows the one with this number. A page in cursor mode that holds nothing ends the
// list whatever it says, so that a server which always promises more cannot keep a loop running.
func (p *Page[T]) continues(number int) bool {
	if more := p.Pagination.HasNextPage; more != nil {
		return *more && len(p.Items) > 0
	}
	return number < p.Pagination.MaxPage
}

// ErrMoreItems is the error of [Collect] for a list that is longer than its bound.
var ErrMoreItems = errors.New("polar: the list has more items")

// Collect gathers the items of an iterator into a slice, for lists that are known to be short. The bound protects the
// program's memory against those that turn out not to be: when there are more than max items, Collect stops reading and
// returns the first max of them with an error that matches [ErrMoreItems]. An error of the iterator is returned together
// with the items before it.
//
//	products, err := polar.Collect(client.Products.All(ctx, nil), 500)
func Collect[T any](items iter.Seq2[T, error], max int) ([]T, error) {
	if max < 1 {
		return nil, fmt.Errorf("polar: Collect needs a bound of at least 1, not %d", max)
	}
	var collected []T
	for item, err := range items {
		if err != nil {
			return collected, err
		}
		if len(collected) == max {
			return collected, fmt.Errorf("%w than the bound %d of Collect: raise it, or range over the iterator", ErrMoreItems, max)
		}
		collected = append(collected, item)
	}
	return collected, nil
}
