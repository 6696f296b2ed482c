//! Types that are text on the wire and must not be mixed up: how TypeScript sees them.
//!
//! `RunId` becomes `string & { readonly __brand?: "RunId" }`. The brand is optional, so that a plain string is
//! accepted (a caller needs no cast) while one brand is not accepted for another.

use std::borrow::Cow;
use std::marker::PhantomData;

use specta::datatype::{DataType, GenericType};
use specta::{Generics, Type, TypeCollection};

/// A type with a brand.
pub trait Branded {
    const TYPESCRIPT: &'static str;
}

/// Stands for `T` where specta asks what `T` looks like.
#[derive(Debug)]
pub struct Brand<T>(PhantomData<T>);

impl<T: Branded> Type for Brand<T> {
    fn inline(_: &mut TypeCollection, _: Generics) -> DataType {
        // specta has no type for this; the name of a generic parameter is the one thing it prints as it is.
        DataType::Generic(GenericType::from(Cow::Borrowed(T::TYPESCRIPT)))
    }
}

/// Gives a type its brand, its name and its documentation in TypeScript.
macro_rules! branded {
    ($(#[doc = $doc:literal])* $name:ident = $text:literal) => {
        impl $crate::domain::brand::Branded for $name {
            const TYPESCRIPT: &'static str = concat!("string & { readonly __brand?: \"", $text, "\" }");
        }

        const _: () = {
            $(#[doc = $doc])*
            #[derive(specta::Type)]
            #[specta(remote = $name, rename = $text)]
            #[expect(dead_code, reason = "it is only a description of the type that it is named after")]
            struct Described(#[specta(type = $crate::domain::brand::Brand<$name>)] String);
        };
    };
}

pub(crate) use branded;
