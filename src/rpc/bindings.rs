//! The TypeScript package's generated file: the types by specta, the list of procedures by us.
//!
//! rspc's own exporter prints inputs and outputs inline, leaves out the documentation of procedures and knows no
//! errors.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use specta::TypeCollection;
use specta::datatype::{DataType, FunctionResultVariant};
use specta_typescript::{ExportError, Typescript};

use crate::rpc::error::ApiError;
use crate::rpc::kit::{Access, Declared};
use crate::rpc::wire::Kind;

/// Where the file is in the repository.
pub const PATH: &str = "bindings/src/procedures.ts";

const HEADER: &str = "\
// Generated from the procedures' declarations by `slipway bindings`. Changes made here are lost.";

/// Why the file could not be written, or is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum BindingsError {
    #[error("the procedures' types have no TypeScript: {0}")]
    Export(#[from] ExportError),
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0} is not what the procedures say: run `slipway bindings`")]
    Stale(PathBuf),
}

/// The file's text. The same procedures give the same text.
pub fn export() -> Result<String, BindingsError> {
    let typescript = Typescript::default().framework_header(HEADER);
    let registry = crate::rpc::router().registry;
    let mut types = TypeCollection::default();
    types.register::<ApiError>();

    let mut procedures = String::new();
    let mut namespace = "";
    let mut sorted: Vec<&Declared> = registry.iter().collect();
    // Stable, so that the order of declaration is kept within a namespace.
    sorted.sort_by_key(|declared| split(declared.spec.path).0);
    for declared in sorted {
        let (own_namespace, name) = split(declared.spec.path);
        if own_namespace != namespace {
            if !namespace.is_empty() {
                procedures.push_str("  };\n");
            }
            writeln!(procedures, "  {own_namespace}: {{").expect("a string takes all text");
            namespace = own_namespace;
        }
        let (input, output) = (declared.types)(&mut types);
        let print = |of: DataType, types: &TypeCollection| {
            specta_typescript::datatype(&typescript, &FunctionResultVariant::Value(of), types)
        };
        let (input, output) = (print(input, &types)?, print(output, &types)?);
        let kind = match declared.kind {
            Kind::Query => "query",
            Kind::Mutation => "mutation",
            Kind::Subscription => "subscription",
        };
        document(declared, &mut procedures);
        writeln!(
            procedures,
            "    {name}: {{ kind: '{kind}'; input: {input}; output: {output}; error: ApiError }};"
        )
        .expect("a string takes all text");
    }
    procedures.push_str("  };\n");

    let types = typescript.export(&types)?;
    let mut text = String::with_capacity(types.len() + procedures.len());
    for line in types.lines() {
        // specta leaves spaces at the ends of lines that a comment follows.
        text.push_str(line.trim_end());
        text.push('\n');
    }
    write!(text, "/** Every procedure. */\nexport type Procedures = {{\n{procedures}}};\n")
        .expect("a string takes all text");
    Ok(text)
}

/// Writes the file.
pub fn write(path: &Path) -> Result<(), BindingsError> {
    std::fs::write(path, export()?).map_err(|source| BindingsError::File { path: path.to_owned(), source })
}

/// `Stale` if the file is not what `write` would write.
pub fn check(path: &Path) -> Result<(), BindingsError> {
    let present = std::fs::read_to_string(path)
        .map_err(|source| BindingsError::File { path: path.to_owned(), source })?;
    if present == export()? { Ok(()) } else { Err(BindingsError::Stale(path.to_owned())) }
}

fn split(path: &'static str) -> (&'static str, &'static str) {
    path.split_once('.').expect("`procedures!` joins two names with a dot")
}

/// A procedure's comment: what it does, who may call it, where plain HTTP finds it.
fn document(declared: &Declared, into: &mut String) {
    let spec = declared.spec;
    let mut lines: Vec<String> = spec.docs.iter().map(|line| line.trim_start().to_owned()).collect();
    let access = match spec.access {
        Access::Public => "Public.".to_owned(),
        Access::SignedIn => "Whoever has signed in.".to_owned(),
        Access::Role(role) => format!("Role: {}.", role.as_str()),
        Access::InPipeline(role) => format!("Role in the pipeline: {}.", role.as_str()),
    };
    lines.push(String::new());
    lines.push(format!("{access} REST: `{} /api/v1{}`.", spec.rest.method, spec.rest.path));
    if let Some(note) = spec.deprecated {
        lines.push(format!("@deprecated {note}"));
    }
    into.push_str("    /**\n");
    for line in lines {
        // The comment must not end before its end.
        let line = line.replace("*/", "*\\/");
        into.push_str(format!("     * {line}").trim_end());
        into.push('\n');
    }
    into.push_str("     */\n");
}
