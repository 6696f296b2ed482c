import { Secrets } from '../../components/Secrets';
import { useSettingsText } from '../../text/settings';

export function SecretsPage() {
  const { secrets } = useSettingsText();
  return <Secrets pipelineId={null} intro={secrets.globalText} />;
}
