//! Nothing in scope changes what the generated code means.
#![deny(warnings)]
#![no_implicit_prelude]

use ::std::prelude::v1::derive;

#[allow(dead_code)]
enum Result {}
#[allow(dead_code)]
enum Option {}
#[allow(dead_code)]
enum Context {}
#[allow(dead_code)]
enum Worker {}
#[allow(dead_code, non_camel_case_types)]
enum core {}
#[allow(dead_code, non_camel_case_types)]
enum std {}
#[allow(dead_code)]
trait Future {}

#[derive(::serde::Deserialize)]
struct Number(#[allow(dead_code)] u8);

#[allow(non_upper_case_globals)]
const argument_0: u8 = 0;

/// Its name is that of a variable in the generated code.
#[::runpod_sdk::handler]
async fn input(_: Number, _: ::runpod_sdk::Context) -> ::runpod_sdk::JobResult<u8> {
    ::std::result::Result::Ok(argument_0)
}

#[::runpod_sdk::handler]
async fn state(_: Number, _: ::runpod_sdk::State<u8>) -> ::runpod_sdk::JobResult<u8> {
    ::std::result::Result::Ok(1)
}

#[::runpod_sdk::handler]
async fn argument_1(_: Number, _: ::runpod_sdk::Context) -> ::runpod_sdk::JobResult<u8> {
    ::std::result::Result::Ok(1)
}

#[::runpod_sdk::handler(blocking)]
fn context(_: Number) -> ::runpod_sdk::JobResult<u8> {
    ::std::result::Result::Ok(1)
}

#[::runpod_sdk::handler]
async fn r#type(_: Number) -> ::runpod_sdk::JobResult<u8> {
    ::std::result::Result::Ok(1)
}

pub(crate) fn main() {
    let _: ::runpod_sdk::Worker = input::worker();
    let _: ::runpod_sdk::Worker<u8> = state::worker();
    let _: ::runpod_sdk::Worker = argument_1::worker();
    let _: ::runpod_sdk::Worker = context::worker();
    let _: ::runpod_sdk::Worker = r#type::worker();
}
