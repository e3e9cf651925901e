//! A Hawser plugin in Rust without a crate: counts seconds, and the bytes that the cloud sends, and tells both.
mod abi;

use abi::*;
use std::mem::size_of;
use std::os::raw::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

const PERIOD_MS: u64 = 1000;

static HOST: AtomicPtr<Host> = AtomicPtr::new(null_mut()); // the same for every instance

struct Counter {
    ctx: Ctx,
    subconn: *const HostSubconn,
    cloud: Subconn,
    seconds: u64,
    received: u64,
}

fn host() -> &'static Host {
    // The host's table is static, and the entry function, which sets this, runs before all else.
    unsafe { &*HOST.load(Ordering::Relaxed) }
}

/// Calls come one at a time on the service thread, so no other reference is alive.
fn of(this: *mut c_void) -> &'static mut Counter {
    unsafe { &mut *this.cast::<Counter>() }
}

fn refuse(counter: &Counter, status: Status, sentence: &str) -> Status {
    (host().error)(counter.ctx, status, Str::of(sentence));
    status
}

extern "C" fn create(ctx: Ctx, this: *mut *mut c_void) -> Status {
    let counter = Box::new(Counter { ctx, subconn: null(), cloud: null_mut(), seconds: 0, received: 0 });
    unsafe { *this = Box::into_raw(counter).cast() };
    OK
}

extern "C" fn configure(_this: *mut c_void, _mode: i32, _json: Str, _why: *const Sink) -> Status {
    OK // nothing can be set
}

extern "C" fn tick(this: *mut c_void) {
    let counter = of(this);
    counter.seconds += 1;
    let message = format!("{{\"seconds\":{},\"received\":{}}}", counter.seconds, counter.received);
    // A full outbox is an answer: the next second's message says as much as this one.
    unsafe { ((*counter.subconn).send_durable)(counter.cloud, message.as_ptr().cast(), message.len(), 0, null_mut()) };
}

extern "C" fn on_message(this: *mut c_void, _cloud: Subconn, _data: *const c_void, len: usize) {
    of(this).received += len as u64;
}

extern "C" fn start(this: *mut c_void) -> Status {
    let counter = of(this);
    counter.subconn = (host().extension)(counter.ctx, EXT_SUBCONN.as_ptr().cast()).cast();
    if counter.subconn.is_null() {
        return refuse(counter, E_UNSUPPORTED, "this host has no hws.subconn/1");
    }
    let params = Params {
        size: size_of::<Params>() as u32,
        flags: 0,
        service: b"counter\0".as_ptr().cast(),
        protocol: b"example.counter.v1\0".as_ptr().cast(),
        outbox_bytes: 0,
        queue_bytes: 0,
    };
    let events = Events { size: size_of::<Events>() as u32, opened: None, text: None, message: Some(on_message) };
    let opened = unsafe { ((*counter.subconn).open)(counter.ctx, &params, &events, this, &mut counter.cloud) };
    if opened < 0 {
        return refuse(counter, opened, "the service counter could not be opened");
    }
    let timed = (host().timer)(counter.ctx, PERIOD_MS, PERIOD_MS, tick, this, null_mut());
    if timed < 0 {
        return refuse(counter, timed, "there is no timer for the second");
    }
    (host().health)(counter.ctx, READY, Str::of(""));
    OK
}

extern "C" fn stop(this: *mut c_void, _deadline_ms: u32) {
    (host().health)(of(this).ctx, STOPPED, Str::of("")); // what was sent is in the host's spool
}

extern "C" fn destroy(this: *mut c_void) {
    drop(unsafe { Box::from_raw(this.cast::<Counter>()) });
}

static PLUGIN: Plugin = Plugin {
    size: size_of::<Plugin>() as u32,
    abi_minor: 0,
    abi_minor_needed: 0,
    id: b"com.example.counter\0".as_ptr().cast(), // as in manifest.json
    version: b"1.0.0\0".as_ptr().cast(),
    create,
    configure,
    start,
    stop,
    destroy,
    extension: None,
};

/// The one exported symbol.
#[no_mangle]
pub extern "C" fn hawser_plugin_v1(given: *const Host) -> *const Plugin {
    if unsafe { (*given).abi_major } != ABI_MAJOR {
        return null();
    }
    HOST.store(given as *mut Host, Ordering::Relaxed);
    &PLUGIN
}
