import './table.css';

import type { ReactNode } from 'react';

export interface Column<T> {
  key: string;
  label: string;
  /** What heads the card that a row is on a narrow page; what can be done with the row. */
  kind?: 'title' | 'actions';
  cell: (item: T) => ReactNode;
}

interface Props<T> {
  label: string;
  columns: readonly Column<T>[];
  items: readonly T[];
  keyOf: (item: T) => string;
}

/** A table, whose rows are cards where it is narrow. The roles say what the style sheet takes away from the elements. */
export function Table<T>({ label, columns, items, keyOf }: Props<T>) {
  return (
    <table role="table" aria-label={label} className="table">
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ key, label: name, kind }) => (
            <th key={key} role="columnheader" scope="col">
              {kind === 'actions' ? <span className="sr-only">{name}</span> : name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {items.map((item) => (
          <tr key={keyOf(item)} role="row">
            {columns.map(({ key, label: name, kind, cell }) => (
              <td key={key} role="cell" data-kind={kind} data-label={name}>
                <div>{cell(item)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
