import { roles } from '../roles';
import { useText } from '../text';

/** Of a select: each role, and what it may do. */
export function RoleOptions() {
  const { role: words } = useText();
  return roles.map((role) => (
    <option key={role} value={role}>
      {words[role]}
    </option>
  ));
}
