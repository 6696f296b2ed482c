// The part of JSON Schema that the published schema of definitions uses.

export interface Schema {
  $ref?: string;
  $defs?: Record<string, Schema>;
  description?: string;
  type?: string | string[];
  enum?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: boolean | Schema;
  items?: Schema;
  anyOf?: Schema[];
}

/** Names of fields, and a number for any item of a list. */
export type Path = readonly (string | number)[];

export interface SchemaField {
  name: string;
  description: string | undefined;
  /** What follows stands below it. */
  isMap: boolean;
}

export function fieldsAt(root: Schema, path: Path): SchemaField[] {
  const { properties = {} } = at(root, path) ?? {};
  return Object.entries(properties).map(([name, field]) => {
    const { type } = resolved(root, field);
    return { name, description: described(root, field), isMap: type === 'object' || type === 'array' };
  });
}

export function valuesAt(root: Schema, path: Path): string[] {
  const found = at(root, path);
  if (found?.enum !== undefined) return found.enum;
  return found?.type === 'boolean' ? ['true', 'false'] : [];
}

export function descriptionAt(root: Schema, path: Path): string | undefined {
  const name = path.at(-1);
  const parent = at(root, path.slice(0, -1));
  const field = typeof name === 'string' ? parent?.properties?.[name] : undefined;
  return field === undefined ? undefined : described(root, field);
}

/** What is said where it stands goes before what is said of its kind. */
function described(root: Schema, field: Schema): string | undefined {
  return field.description ?? resolved(root, field).description;
}

function at(root: Schema, path: Path): Schema | undefined {
  let schema: Schema | undefined = root;
  for (const part of path) {
    if (schema === undefined) return undefined;
    const own: Schema = resolved(root, schema);
    if (typeof part === 'number') schema = own.items;
    else schema = own.properties?.[part] ?? (typeof own.additionalProperties === 'object' ? own.additionalProperties : undefined);
  }
  return schema === undefined ? undefined : resolved(root, schema);
}

function resolved(root: Schema, schema: Schema): Schema {
  const name = schema.$ref?.replace('#/$defs/', '');
  return name === undefined ? schema : { ...root.$defs?.[name], ...schema };
}
