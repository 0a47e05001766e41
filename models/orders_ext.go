package models

// IsPaid reports whether the order was paid and the money was not all given back: the time to deliver what was bought, and
// to go on delivering it. It is false for drafts and for orders that wait for their payment, as renewals do at first, and
// it becomes false with a full refund, after which the field Paid is still true. An order that costs nothing is paid.
func (o *Order) IsPaid() bool {
	switch o.Status {
	case OrderStatusPaid, OrderStatusPartiallyRefunded:
		return true
	case OrderStatusDraft, OrderStatusPending, OrderStatusRefunded, OrderStatusVoid:
		return false
	}
	return o.Paid // a status to come
}

// IsRefunded reports whether all of the order was given back. A part of it is [Order.IsPartiallyRefunded].
func (o *Order) IsRefunded() bool { return o.Status == OrderStatusRefunded }

// IsPartiallyRefunded reports whether a part of the order was given back and a part was not. How much that was say
// RefundedAmount and RefundedTaxAmount.
func (o *Order) IsPartiallyRefunded() bool { return o.Status == OrderStatusPartiallyRefunded }

// HasProduct reports whether the order is for a product. It says nothing about payment, and the benefits of the product
// are not asked: see [Order.IsPaid] and [CustomerState.Benefit]. After a change of plan the orders before it are still for the
// former product.
func (o *Order) HasProduct(productID string) bool {
	return productID != "" && (o.ProductID != nil && *o.ProductID == productID || o.Product != nil && o.Product.ID == productID)
}
