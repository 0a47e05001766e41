package polar

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"

	"github.com/google/go-querystring/query"
)

// MetadataFilter narrows a list to the objects whose metadata has certain values: all the keys have to match, and for
// each key one of its values. Numbers and booleans are written as text.
//
//	&polar.OrderListParams{Metadata: polar.MetadataFilter{"plan": {"pro", "team"}, "trial": {"true"}}}
type MetadataFilter map[string][]string

// EncodeValues adds the filter to v, as the API expects it: key[name]=value.
func (f MetadataFilter) EncodeValues(key string, v *url.Values) error {
	for name, values := range f {
		if name == "" {
			return fmt.Errorf("%s: the filter has an empty key", key)
		}
		if len(values) == 0 {
			return fmt.Errorf("%s: the filter has no value for the key %q", key, name)
		}
		for _, value := range values {
			v.Add(key+"["+name+"]", value)
		}
	}
	return nil
}

// encodeQuery checks the parameters of a call and returns them as the query of a URL, sorted by name. params is nil, a
// struct with url tags or a pointer to one, or url.Values.
func encodeQuery(params any) (string, error) {
	if isNil(params) {
		return "", nil
	}
	if p, ok := params.(interface{ required() error }); ok {
		if err := p.required(); err != nil {
			return "", err
		}
	}
	if p, ok := params.(interface{ paging() (page, limit *int) }); ok {
		page, limit := p.paging()
		if *page < 0 {
			return "", fmt.Errorf("page is %d: pages are counted from 1, and 0 means the first", *page)
		}
		if *limit < 0 || *limit > maxLimit {
			return "", fmt.Errorf("limit is %d: it can be 1 to %d, and 0 means Polar's default of 10; use the iterator (All) for more", *limit, maxLimit)
		}
	}
	if p, ok := params.(interface{ Validate() error }); ok {
		if err := p.Validate(); err != nil {
			return "", err
		}
	}
	values, ok := params.(url.Values)
	if !ok {
		if reflect.Indirect(reflect.ValueOf(params)).Kind() != reflect.Struct {
			return "", errors.New("query is neither url.Values nor a struct")
		}
		var err error
		if values, err = query.Values(params); err != nil {
			return "", err
		}
	}
	return values.Encode(), nil
}

// isNil reports whether v is nil or an interface around a nil pointer, map or slice.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch rv := reflect.ValueOf(v); rv.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice, reflect.Func, reflect.Interface:
		return rv.IsNil()
	}
	return false
}

// missing is the error for a query parameter that the operation cannot do without.
func missing(name string) error {
	return fmt.Errorf("%s is missing: it is required", name)
}
