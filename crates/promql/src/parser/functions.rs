//! The functions of the language with their types, as upstream's `promql/parser/functions.go` declares them.

use super::ast::ValueType::{self, Matrix, Scalar, String, Vector};
use crate::numeric;

/// A function's signature.
#[derive(Debug)]
pub struct Function {
    /// The name.
    pub name: &'static str,
    /// The types of its arguments, optional ones included; the last one is that of all further arguments.
    pub arg_types: &'static [ValueType],
    /// 0: exactly as many arguments as types. Otherwise the last argument is optional, and from it on there may be this
    /// many, or any number where it is negative.
    pub variadic: i32,
    /// What it returns.
    pub return_type: ValueType,
    /// Whether it must be enabled.
    pub experimental: bool,
    /// What it does with each float of an instant vector, where that is all it does: such a function is this line and no more.
    pub(crate) of_number: Option<fn(f64) -> f64>,
}

/// By name, which is unique in the table.
impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Function {
    const fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }
}

/// A function that maps each float of an instant vector; histograms are left out.
const fn of_number(name: &'static str, map: fn(f64) -> f64) -> Function {
    Function { of_number: Some(map), ..f(name, &[Vector], 0, Vector) }
}

/// The function with this name (names are case-sensitive).
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    FUNCTIONS.binary_search_by(|f| f.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
}

/// All functions, sorted by name.
pub static FUNCTIONS: &[Function] = &[
    of_number("abs", f64::abs),
    f("absent", &[Vector], 0, Vector),
    f("absent_over_time", &[Matrix], 0, Vector),
    of_number("acos", f64::acos),
    of_number("acosh", numeric::acosh),
    of_number("asin", f64::asin),
    of_number("asinh", numeric::asinh),
    of_number("atan", f64::atan),
    of_number("atanh", f64::atanh),
    f("avg_over_time", &[Matrix], 0, Vector),
    of_number("ceil", f64::ceil),
    f("changes", &[Matrix], 0, Vector),
    f("clamp", &[Vector, Scalar, Scalar], 0, Vector),
    f("clamp_max", &[Vector, Scalar], 0, Vector),
    f("clamp_min", &[Vector, Scalar], 0, Vector),
    of_number("cos", f64::cos),
    of_number("cosh", numeric::cosh),
    f("count_over_time", &[Matrix], 0, Vector),
    f("day_of_month", &[Vector], 1, Vector),
    f("day_of_week", &[Vector], 1, Vector),
    f("day_of_year", &[Vector], 1, Vector),
    f("days_in_month", &[Vector], 1, Vector),
    of_number("deg", numeric::deg),
    f("delta", &[Matrix], 0, Vector),
    f("deriv", &[Matrix], 0, Vector),
    f("double_exponential_smoothing", &[Matrix, Scalar, Scalar], 0, Vector).experimental(),
    f("end", &[], 0, Scalar).experimental(),
    of_number("exp", f64::exp),
    f("first_over_time", &[Matrix], 0, Vector),
    of_number("floor", f64::floor),
    f("histogram_avg", &[Vector], 0, Vector),
    f("histogram_count", &[Vector], 0, Vector),
    f("histogram_fraction", &[Scalar, Scalar, Vector], 0, Vector),
    f("histogram_quantile", &[Scalar, Vector], 0, Vector),
    f("histogram_quantiles", &[Vector, String, Scalar, Scalar], 9, Vector).experimental(),
    f("histogram_stddev", &[Vector], 0, Vector),
    f("histogram_stdvar", &[Vector], 0, Vector),
    f("histogram_sum", &[Vector], 0, Vector),
    f("hour", &[Vector], 1, Vector),
    f("idelta", &[Matrix], 0, Vector),
    f("increase", &[Matrix], 0, Vector),
    f("info", &[Vector, Vector], 1, Vector).experimental(),
    f("irate", &[Matrix], 0, Vector),
    f("label_join", &[Vector, String, String, String], -1, Vector),
    f("label_replace", &[Vector, String, String, String, String], 0, Vector),
    f("last_over_time", &[Matrix], 0, Vector),
    of_number("ln", f64::ln),
    of_number("log10", f64::log10),
    of_number("log2", f64::log2),
    f("mad_over_time", &[Matrix], 0, Vector).experimental(),
    f("max_of", &[Scalar, Scalar], 0, Scalar).experimental(),
    f("max_over_time", &[Matrix], 0, Vector),
    f("min_of", &[Scalar, Scalar], 0, Scalar).experimental(),
    f("min_over_time", &[Matrix], 0, Vector),
    f("minute", &[Vector], 1, Vector),
    f("month", &[Vector], 1, Vector),
    f("pi", &[], 0, Scalar),
    f("predict_linear", &[Matrix, Scalar], 0, Vector),
    f("present_over_time", &[Matrix], 0, Vector),
    f("quantile_over_time", &[Scalar, Matrix], 0, Vector),
    of_number("rad", numeric::rad),
    f("range", &[], 0, Scalar).experimental(),
    f("rate", &[Matrix], 0, Vector),
    f("resets", &[Matrix], 0, Vector),
    f("round", &[Vector, Scalar], 1, Vector),
    f("scalar", &[Vector], 0, Scalar),
    of_number("sgn", numeric::sgn),
    of_number("sin", f64::sin),
    of_number("sinh", numeric::sinh),
    f("sort", &[Vector], 0, Vector),
    f("sort_by_label", &[Vector, String], -1, Vector).experimental(),
    f("sort_by_label_desc", &[Vector, String], -1, Vector).experimental(),
    f("sort_desc", &[Vector], 0, Vector),
    of_number("sqrt", f64::sqrt),
    f("start", &[], 0, Scalar).experimental(),
    f("start_timestamp", &[Vector], 0, Vector).experimental(),
    f("stddev_over_time", &[Matrix], 0, Vector),
    f("stdvar_over_time", &[Matrix], 0, Vector),
    f("step", &[], 0, Scalar).experimental(),
    f("sum_over_time", &[Matrix], 0, Vector),
    of_number("tan", f64::tan),
    of_number("tanh", f64::tanh),
    f("time", &[], 0, Scalar),
    f("timestamp", &[Vector], 0, Vector),
    f("ts_of_first_over_time", &[Matrix], 0, Vector).experimental(),
    f("ts_of_last_over_time", &[Matrix], 0, Vector).experimental(),
    f("ts_of_max_over_time", &[Matrix], 0, Vector).experimental(),
    f("ts_of_min_over_time", &[Matrix], 0, Vector).experimental(),
    f("vector", &[Scalar], 0, Vector),
    f("year", &[Vector], 1, Vector),
];

const fn f(
    name: &'static str,
    arg_types: &'static [ValueType],
    variadic: i32,
    return_type: ValueType,
) -> Function {
    Function { name, arg_types, variadic, return_type, experimental: false, of_number: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each function of a number.
    #[test]
    fn functions_of_a_number() {
        let inf = f64::INFINITY;
        for (name, of, expect) in [
            ("abs", -2.5, 2.5),
            ("acos", 1.0, 0.0),
            ("acosh", 1.0, 0.0),
            ("asin", 0.0, 0.0),
            ("asinh", 0.0, 0.0),
            ("atan", -0.0, -0.0),
            ("atanh", 1.0, inf),
            ("ceil", 1.2, 2.0),
            ("cos", 0.0, 1.0),
            ("cosh", 0.0, 1.0),
            ("deg", std::f64::consts::PI, 180.0),
            ("exp", 0.0, 1.0),
            ("floor", -1.2, -2.0),
            ("ln", 0.0, -inf),
            ("log10", 1000.0, 3.0),
            ("log2", 8.0, 3.0),
            ("rad", 180.0, std::f64::consts::PI),
            ("sgn", -7.0, -1.0),
            ("sin", 0.0, 0.0),
            ("sinh", 0.0, 0.0),
            ("sqrt", 2.25, 1.5),
            ("tan", 0.0, 0.0),
            ("tanh", inf, 1.0),
        ] {
            let map = function(name).and_then(|f| f.of_number).expect(name);
            assert_eq!(map(of).to_bits(), f64::to_bits(expect), "{name}({of})");
        }
    }

    #[test]
    fn the_table_is_sorted_and_found() {
        assert!(FUNCTIONS.windows(2).all(|w| w[0].name < w[1].name));
        for f in FUNCTIONS {
            assert!(function(f.name).is_some_and(|found| std::ptr::eq(found, f)));
        }
        assert!(function("holt_winters").is_none());
        assert!(function("info").is_some_and(|f| f.experimental && f.variadic == 1));
    }
}
