//! The hot loops, compiled for any processor of the target and once more for those with AVX2 and BMI.
//!
//! A loop is a [`Hot`] whose body is `#[inline(always)]`, with all that it calls; [`run`] picks the copy for this processor.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "code for a processor that may not be there; `run` asks first")
)]

/// A piece of work that gains from newer instructions.
pub(super) trait Hot {
    type Output;

    /// Does it. Implementations are `#[inline(always)]`, or nothing is gained.
    fn run(self) -> Self::Output;
}

/// Does `hot` in the fastest way this processor has.
#[inline]
pub(super) fn run<H: Hot>(hot: H) -> H::Output {
    #[cfg(target_arch = "x86_64")]
    if has_avx2() {
        // SAFETY: the processor has each feature that `avx2` is compiled for, `has_avx2` says.
        return unsafe { avx2(hot) };
    }
    hot.run()
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn has_avx2() -> bool {
    static HAS: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
    });
    *HAS
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt")]
fn avx2<H: Hot>(hot: H) -> H::Output {
    hot.run()
}
