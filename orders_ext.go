package polar

import (
	"context"
	"errors"

	"github.com/polar-go/polar/models"
)

// HasBought reports whether a customer has ever bought a product, once or by subscribing to it, and the money was not all
// given back. It says nothing about access at the moment, which a subscription may have lost since: that is in
// [CustomerService.State].
//
// Scope: orders:read.
func (s *OrderService) HasBought(ctx context.Context, customerID, productID string, opts ...CallOption) (bool, error) {
	return s.bought(ctx, customerID, OrderListParams{CustomerID: []string{customerID}, ProductID: []string{productID}}, opts)
}

// HasBoughtByExternalID is [OrderService.HasBought] for the customer with this identifier in the caller's own system. A customer
// whom Polar does not know has bought nothing.
//
// Scope: orders:read.
func (s *OrderService) HasBoughtByExternalID(ctx context.Context, externalID, productID string, opts ...CallOption) (bool, error) {
	return s.bought(ctx, externalID, OrderListParams{ExternalCustomerID: []string{externalID}, ProductID: []string{productID}}, opts)
}

func (s *OrderService) bought(ctx context.Context, customer string, params OrderListParams, opts []CallOption) (bool, error) {
	if customer == "" || params.ProductID[0] == "" { // an empty filter would find the orders of everybody
		return false, errors.New("polar: orders:list: the id of the customer or of the product is empty")
	}
	params.Status = []models.OrderStatus{models.OrderStatusPaid, models.OrderStatusPartiallyRefunded}
	params.Limit = 1
	page, err := s.List(ctx, &params, opts...)
	return err == nil && len(page.Items) > 0, err
}
