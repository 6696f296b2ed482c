// One file to load for all of them: who opens one opens others, and each file of its own is named wherever a page begins.
export { AboutPage } from './AboutPage';
export { AccountPage } from './AccountPage';
export { AppearancePage } from './AppearancePage';
export { AuditPage } from './AuditPage';
export { PeoplePage } from './PeoplePage';
export { PersonPage } from './PersonPage';
export { SecretsPage } from './SecretsPage';
export { SettingsPage } from './SettingsPage';
export { TokensPage } from './TokensPage';
