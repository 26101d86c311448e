//! A handler may stand among statements, and may be written by a macro.
#![deny(warnings)]

use runpod_sdk::prelude::*;

macro_rules! adder {
    ($name:ident, $number:ty, $more:literal) => {
        #[handler]
        async fn $name(n: $number) -> JobResult<$number> {
            Ok(n + $more)
        }
    };
}

adder!(add_one, u32, 1);

pub(crate) fn main() {
    #[derive(serde::Deserialize, serde::Serialize)]
    struct Local;

    #[handler]
    async fn echo(input: Local) -> JobResult<Local> {
        Ok(input)
    }

    adder!(add_two, i64, 2);

    let _: Worker = echo::worker();
    let _: Worker = add_one::worker();
    let _: Worker = add_two::worker();
}
