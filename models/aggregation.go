package models

// Count returns an Aggregation that counts the events.
func Count() Aggregation { return Aggregation{Func: AggregationFunctionCount} }

// Sum returns an Aggregation that adds up a property of the events, such as "tokens" for the metadata of that name.
func Sum(property string) Aggregation { return aggregation(AggregationFunctionSum, property) }

// Max returns an Aggregation that takes the highest value of a property of the events.
func Max(property string) Aggregation { return aggregation(AggregationFunctionMax, property) }

// Min returns an Aggregation that takes the lowest value of a property of the events.
func Min(property string) Aggregation { return aggregation(AggregationFunctionMin, property) }

// Avg returns an Aggregation that takes the mean of a property of the events.
func Avg(property string) Aggregation { return aggregation(AggregationFunctionAvg, property) }

// Unique returns an Aggregation that counts the different values of a property of the events.
func Unique(property string) Aggregation { return aggregation(AggregationFunctionUnique, property) }

func aggregation(f AggregationFunction, property string) Aggregation {
	return Aggregation{Func: f, Property: &property}
}
