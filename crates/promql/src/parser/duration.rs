//! What duration expressions come to once the query's step and range are known.

use super::ast::{DurationExpr, DurationOp, DurationValue, Span};

/// A duration expression without a usable value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}: {reason}", .span.start, .span.end)]
pub struct DurationExprError {
    /// The expression at fault; the message shows its byte offsets, as upstream does.
    pub span: Span,
    /// What is wrong.
    pub reason: &'static str,
}

/// The longest duration upstream's nanoseconds hold, in seconds.
pub(super) const MAX_SECONDS: f64 = 9_223_372_036.854_776;

impl DurationValue {
    /// The duration in milliseconds, cut to whole ones.
    ///
    /// `step_ms` and `range_ms` are those of the query, 0 for instant queries. Only offsets may be zero or negative.
    ///
    /// # Errors
    /// As [`DurationExpr::evaluate`].
    pub fn evaluate(
        &self,
        step_ms: i64,
        range_ms: i64,
        allow_negative: bool,
    ) -> Result<i64, DurationExprError> {
        match self {
            Self::Millis(ms) => Ok(*ms),
            Self::Expr(expr) => expr.evaluate(step_ms, range_ms, allow_negative),
        }
    }
}

impl DurationExpr {
    /// The duration in milliseconds, cut to whole ones.
    ///
    /// # Errors
    /// When the result is no number, out of range, or, unless `allow_negative`, not above zero; on division by zero.
    pub fn evaluate(
        &self,
        step_ms: i64,
        range_ms: i64,
        allow_negative: bool,
    ) -> Result<i64, DurationExprError> {
        let fail = |reason| Err(DurationExprError { span: self.span(), reason });
        let seconds = self.seconds(step_ms as f64 / 1000.0, range_ms as f64 / 1000.0)?;
        if !seconds.is_finite() {
            return fail("duration is NaN or infinite");
        }
        if seconds <= 0.0 && !allow_negative {
            return fail("duration must be greater than 0");
        }
        if seconds.abs() > MAX_SECONDS {
            return fail("duration is out of range");
        }
        // In range by the check above; `as` cuts towards zero, as upstream's conversion does.
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, step: f64, range: f64) -> Result<f64, DurationExprError> {
        let fail = |reason| Err(DurationExprError { span: self.span(), reason });
        Ok(match self {
            Self::Literal { seconds, .. } => *seconds,
            Self::Step { .. } => step,
            Self::Range { .. } => range,
            Self::Negate { expr, .. } => -expr.seconds(step, range)?,
            Self::Paren { expr, .. } => expr.seconds(step, range)?,
            Self::Binary { op, lhs, rhs, .. } => {
                let (a, b) = (lhs.seconds(step, range)?, rhs.seconds(step, range)?);
                match op {
                    DurationOp::Add => a + b,
                    DurationOp::Sub => a - b,
                    DurationOp::Mul => a * b,
                    DurationOp::Div if b == 0.0 => return fail("division by zero"),
                    DurationOp::Div => a / b,
                    DurationOp::Mod if b == 0.0 => return fail("modulo by zero"),
                    DurationOp::Mod => a % b,
                    DurationOp::Pow => a.powf(b),
                    // Go's min and max: a NaN on either side wins, which Rust's would drop.
                    DurationOp::MinOf | DurationOp::MaxOf if a.is_nan() || b.is_nan() => f64::NAN,
                    DurationOp::MinOf => a.min(b),
                    DurationOp::MaxOf => a.max(b),
                }
            }
        })
    }
}
