import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

import pg from 'pg';

export interface Database {
  url: string;
  drop: () => Promise<void>;
}

/** Executes statements one after the other, and gives the rows of the last one. */
export async function askPostgres(url: string, ...statements: string[]): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: unknown[][] = [];
    for (const text of statements) rows = (await client.query<unknown[]>({ text, rowMode: 'array' })).rows;
    return rows;
  } finally {
    await client.end();
  }
}

/** The oldest Node that the tests run on has no SQLite of its own, and Python has. */
const SQLITE = `
import json, sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=30) as database:
    for statement in sys.argv[2:]:
        rows = database.execute(statement).fetchall()
    print(json.dumps(rows))
`;

/** The same for the file of a server that runs. */
export function askSqlite(file: string, ...statements: string[]): unknown[][] {
  const answer = execFileSync('python3', ['-c', SQLITE, file, ...statements], { encoding: 'utf8' });
  return JSON.parse(answer) as unknown[][];
}

/** A database of its own on the PostgreSQL server that the tests are given. */
export async function createDatabase(serverUrl: string): Promise<Database> {
  const name = `e2e_${randomBytes(8).toString('hex')}`;
  await askPostgres(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  const drop = async () => {
    await askPostgres(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`);
  };
  return { url: url.href, drop };
}
