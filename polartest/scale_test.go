package polartest_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/polar-go/polar/models"
	"github.com/polar-go/polar/polartest"
)

// BenchmarkYear renews the subscriptions of 10,000 customers for 12 months.
func BenchmarkYear(b *testing.B) {
	const customers, months = 10_000, 12
	for b.Loop() {
		b.StopTimer()
		srv := polartest.NewServer(b, polartest.WithTime(start))
		client := srv.Client()
		product, err := client.Products.Create(b.Context(), models.ProductCreateRecurring{Name: "Pro", RecurringInterval: models.RecurringIntervalMonth,
			Prices: []models.ProductPriceCreate{models.ProductPriceFixedCreate{PriceAmount: 1000}}})
		if err != nil {
			b.Fatal(err)
		}
		for i := range customers {
			checkout, err := client.Checkouts.Create(b.Context(), models.CheckoutCreate{Products: []string{product.ID}, CustomerEmail: new(fmt.Sprintf("user%d@example.com", i))})
			if err != nil {
				b.Fatal(err)
			}
			if err := srv.CompleteCheckout(checkout.ID); err != nil {
				b.Fatal(err)
			}
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		b.StartTimer()
		for range months {
			srv.Advance(31 * 24 * time.Hour)
		}
		b.StopTimer()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-more")
		b.ReportMetric(float64(after.HeapAlloc)/1e6, "MB")
		orders, err := client.Orders.List(b.Context(), nil)
		if err != nil || orders.Pagination.TotalCount < customers*(months+1) {
			b.Fatalf("%d orders: %v", orders.Pagination.TotalCount, err)
		}
		b.StartTimer()
	}
}
