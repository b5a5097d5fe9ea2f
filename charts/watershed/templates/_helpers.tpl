{{/* The names of a release called `watershed` begin with just that. */}}
{{- define "watershed.fullname" -}}
{{- if contains "watershed" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-watershed" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "watershed.operator" -}}
{{ include "watershed.fullname" . }}-operator
{{- end -}}

{{- define "watershed.dns" -}}
{{ include "watershed.fullname" . }}-dns
{{- end -}}

{{/* Labels of everything. */}}
{{- define "watershed.labels" -}}
app.kubernetes.io/name: watershed
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: watershed
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* What pods of a component are selected by: list of context and component. */}}
{{- define "watershed.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: watershed
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of pods: list of context and component. Not that of the chart, whose
every change would restart them. */}}
{{- define "watershed.podLabels" -}}
{{ include "watershed.selector" . }}
app.kubernetes.io/part-of: watershed
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end -}}

{{/* An image: list of context, name and the reference that a value gives. */}}
{{- define "watershed.image" -}}
{{- $root := index . 0 -}}
{{- $image := $root.Values.image -}}
{{- index . 2 | default (printf "%s/%s:%s" $image.repository (index . 1) ($image.tag | default $root.Chart.AppVersion)) -}}
{{- end -}}

{{/* The operator's name within the cluster, which its certificate has. */}}
{{- define "watershed.operatorHost" -}}
{{ include "watershed.operator" . }}.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* The Secret with the operator's certificate; empty when it makes its own. */}}
{{- define "watershed.operatorTls" -}}
{{- with .Values.operator.tlsSecretName -}}
{{ . }}
{{- else -}}
{{- if .Values.certManager.enabled }}{{ include "watershed.operator" . }}-cert{{ end -}}
{{- end -}}
{{- end -}}

{{/* How nodes prove who they are. cert-manager makes certificates, and then
nobody is there to enrol nodes at. */}}
{{- define "watershed.identity" -}}
{{- if include "watershed.operatorTls" . }}Secret{{ else }}{{ .Values.dns.identity }}{{ end -}}
{{- end -}}

{{/* Accounts that may enrol nodes, and of which fleets. */}}
{{- define "watershed.enrol" -}}
{{- $accounts := .Values.operator.enrol -}}
{{- if and .Values.dns.enabled (eq (include "watershed.identity" .) "Enrol") -}}
{{- $accounts = prepend $accounts (printf "%s/%s=%s" .Release.Namespace (include "watershed.dns" .) .Values.dns.fleet) -}}
{{- end -}}
{{- if not (include "watershed.operatorTls" .) }}{{ join "," $accounts }}{{ end -}}
{{- end -}}

{{/* The Secret with the nodes' certificate. */}}
{{- define "watershed.dnsTls" -}}
{{- with .Values.dns.tlsSecretName -}}
{{ . }}
{{- else -}}
{{- if .Values.certManager.enabled }}{{ include "watershed.dns" . }}-cert{{ else }}watershed-dns-tls{{ end -}}
{{- end -}}
{{- end -}}

{{- define "watershed.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "watershed.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Over machines and zones, without waiting for one that is not there: list
of context and component. A rolling upgrade spreads its own pods. */}}
{{- define "watershed.spread" -}}
{{- range $index, $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
{{- if $index }}
{{ end -}}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "watershed.selector" $ | nindent 6 }}
  matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end -}}

{{/* Where pods of a component run: its values. */}}
{{- define "watershed.placement" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 0 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The name that nodes look for in the operator's certificate: a replica that
leads is reached by its address, which is no name of it. */}}
{{- define "watershed.serverName" -}}
{{- $plane := .Values.dns.controlPlane -}}
{{- if $plane.serverName -}}
{{ $plane.serverName }}
{{- else if $plane.address -}}
{{ regexReplaceAll ":[0-9]+$" $plane.address "" }}
{{- else -}}
{{ include "watershed.operatorHost" . }}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say, since it takes two values. */}}
{{- define "watershed.check" -}}
{{- if not (or .Values.operator.enabled .Values.dns.enabled) -}}
{{- fail "operator.enabled and dns.enabled are both false: there is nothing to install" -}}
{{- end -}}
{{- if and .Values.dns.enabled (not .Values.operator.enabled) -}}
{{- if not .Values.dns.controlPlane.address -}}
{{- fail "operator.enabled is false: say in dns.controlPlane.address where the operator of this fleet is, as HOST:PORT" -}}
{{- end -}}
{{- if .Values.certManager.enabled -}}
{{- if not .Values.certManager.issuerRef -}}
{{- fail "operator.enabled is false: certManager.issuerRef must be the authority that the operator trusts" -}}
{{- end -}}
{{- end -}}
{{- if and (eq (include "watershed.identity" .) "Secret") (not .Values.certManager.enabled) (not .Values.dns.tlsSecretName) -}}
{{- fail "dns.identity is Secret: say in dns.tlsSecretName which one; `watershed-operator certificate` makes what goes into it" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dns.enabled .Values.operator.enabled .Values.operator.tlsSecretName (not .Values.dns.tlsSecretName) -}}
{{- fail "operator.tlsSecretName is given: dns.tlsSecretName must be one of the same authority" -}}
{{- end -}}
{{- if and .Values.dns.enabled .Values.operator.enabled (eq (include "watershed.identity" .) "Secret") (ne .Values.dns.fleet "default") (not .Values.dns.tlsSecretName) (not .Values.certManager.enabled) -}}
{{- fail "dns.identity is Secret: the operator makes a certificate for the fleet `default` only; say in dns.tlsSecretName which one is of this fleet" -}}
{{- end -}}
{{- end -}}
