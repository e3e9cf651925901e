//! hawser/plugin.h 1.0, as far as this plugin uses it. Tables are read up to where they are written down here; what a
//! later minor appends stands behind that.
#![allow(dead_code)]
use std::os::raw::{c_char, c_void};

pub type Status = i32;
pub const OK: Status = 0;
pub const E_INVALID: Status = -2;
pub const E_UNSUPPORTED: Status = -3;
pub const LOG_INFO: i32 = 1;
pub const LOG_WARN: i32 = 2;
pub const READY: i32 = 1;
pub const STOPPED: i32 = 3;
pub const ABI_MAJOR: u16 = 1;
pub const EXT_SUBCONN: &[u8] = b"hws.subconn/1\0";

/// The host's handles; nothing of them is known here.
pub type Ctx = *mut c_void;
pub type Subconn = *mut c_void;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub ptr: *const c_char,
    pub len: usize,
}

impl Str {
    pub fn of(text: &str) -> Str {
        Str { ptr: text.as_ptr().cast(), len: text.len() }
    }
}

#[repr(C)]
pub struct Sink {
    pub to: *mut c_void,
    pub write: extern "C" fn(*mut c_void, *const c_void, usize) -> Status,
}

#[repr(C)]
pub struct Plugin {
    pub size: u32,
    pub abi_minor: u16,
    pub abi_minor_needed: u16,
    pub id: *const c_char,
    pub version: *const c_char,
    pub create: extern "C" fn(Ctx, *mut *mut c_void) -> Status,
    pub configure: extern "C" fn(*mut c_void, i32, Str, *const Sink) -> Status,
    pub start: extern "C" fn(*mut c_void) -> Status,
    pub stop: extern "C" fn(*mut c_void, u32),
    pub destroy: extern "C" fn(*mut c_void),
    pub extension: Option<extern "C" fn(*mut c_void, *const c_char) -> *const c_void>,
}
unsafe impl Sync for Plugin {} // it is static, and its texts are

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub name: *const c_char,
    pub version: *const c_char,
    pub log: extern "C" fn(Ctx, i32, Str, *const c_void, usize),
    pub error: extern "C" fn(Ctx, Status, Str),
    pub health: extern "C" fn(Ctx, i32, Str),
    pub post: extern "C" fn(Ctx, extern "C" fn(*mut c_void), *mut c_void) -> Status,
    pub timer: extern "C" fn(Ctx, u64, u64, extern "C" fn(*mut c_void), *mut c_void, *mut u64) -> Status,
    pub timer_cancel: extern "C" fn(Ctx, u64) -> Status,
    pub extension: extern "C" fn(Ctx, *const c_char) -> *const c_void,
}

#[repr(C)]
pub struct Params {
    pub size: u32,
    pub flags: u32,
    pub service: *const c_char,
    pub protocol: *const c_char,
    pub outbox_bytes: u32,
    pub queue_bytes: u32,
}

/// The events up to `message`: the host takes those behind the size for none.
#[repr(C)]
pub struct Events {
    pub size: u32,
    pub opened: Option<extern "C" fn(*mut c_void, Subconn, Str)>,
    pub text: Option<extern "C" fn(*mut c_void, Subconn, Str)>,
    pub message: Option<extern "C" fn(*mut c_void, Subconn, *const c_void, usize)>,
}

#[repr(C)]
pub struct HostSubconn {
    pub size: u32,
    pub open: extern "C" fn(Ctx, *const Params, *const Events, *mut c_void, *mut Subconn) -> Status,
    pub send_durable: extern "C" fn(Subconn, *const c_void, usize, u32, *mut u64) -> Status,
}
