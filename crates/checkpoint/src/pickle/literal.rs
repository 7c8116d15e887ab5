//! Instructions that contain their value: numbers, strings, bytes.

use super::{input::Input, opcode as op, value::Value};
use crate::rejection::Rejection;

/// Reads a value. Any other instruction is not allowed: the caller has tried the rest.
pub(super) fn literal<'a>(input: &mut Input<'a>, opcode: u8) -> Result<Value<'a>, Rejection> {
    Ok(match opcode {
        op::NONE => Value::None,
        op::NEWTRUE => Value::Int(1),
        op::NEWFALSE => Value::Int(0),
        op::BININT => Value::Int(i32::from_le_bytes(*input.take()?).into()),
        op::BININT1 => Value::Int(u8::from_le_bytes(*input.take()?).into()),
        op::BININT2 => Value::Int(u16::from_le_bytes(*input.take()?).into()),
        op::LONG1 => long(input)?,
        op::BINFLOAT => Value::Float(f64::from_be_bytes(*input.take()?)),
        op::SHORT_BINUNICODE => text(input, 1)?,
        op::BINUNICODE => text(input, 4)?,
        op::BINUNICODE8 => text(input, 8)?,
        op::SHORT_BINSTRING => old_text(input, 1)?,
        op::BINSTRING => old_text(input, 4)?,
        op::SHORT_BINBYTES => blob(input, 1)?,
        op::BINBYTES => blob(input, 4)?,
        op::BINBYTES8 | op::BYTEARRAY8 => blob(input, 8)?,
        _ => {
            let at = input.start();
            return Err(Rejection::ForbiddenOpcode { opcode: op::name(opcode), at });
        }
    })
}

fn long<'a>(input: &mut Input<'a>) -> Result<Value<'a>, Rejection> {
    let bytes = input.counted(1)?;
    let Some(&last) = bytes.last() else { return Ok(Value::Int(0)) };
    if bytes.len() > 8 {
        return Ok(Value::Opaque);
    }
    let mut number = if last < 0x80 { [0; 8] } else { [0xff; 8] };
    number[..bytes.len()].copy_from_slice(bytes);
    Ok(Value::Int(i64::from_le_bytes(number)))
}

fn text<'a>(input: &mut Input<'a>, width: usize) -> Result<Value<'a>, Rejection> {
    let bytes = input.counted(width)?;
    std::str::from_utf8(bytes).map(Value::Text).map_err(|_| input.bad("text that is not UTF-8"))
}

/// A string of Python 2, which can be text or bytes.
fn old_text<'a>(input: &mut Input<'a>, width: usize) -> Result<Value<'a>, Rejection> {
    let bytes = input.counted(width)?;
    Ok(std::str::from_utf8(bytes).map_or(Value::Opaque, Value::Text))
}

fn blob<'a>(input: &mut Input<'a>, width: usize) -> Result<Value<'a>, Rejection> {
    input.counted(width).map(|_| Value::Opaque)
}
