-- The health of an object of any kind of watershed.dev, for Argo CD: as kstatus
-- has it, Stalled and Reconciling are only there while they are true.
local health = {status = "Progressing", message = "the operator has not seen it yet"}
local status = obj.status
if status == nil or status.conditions == nil then return health end

local conditions = {}
for _, condition in ipairs(status.conditions) do
  conditions[condition.type] = condition
end
local ready, stalled = conditions.Ready, conditions.Stalled

if obj.metadata.deletionTimestamp ~= nil then
  health.message = "it is being deleted"
  if ready ~= nil and ready.reason == "InUse" then health.message = ready.message end
elseif status.observedGeneration ~= obj.metadata.generation then
  health.message = "the operator has not seen the last change yet"
elseif stalled ~= nil and stalled.status == "True" then
  health.status = "Degraded"
  health.message = stalled.reason .. ": " .. stalled.message
elseif ready ~= nil then
  if ready.status == "True" then health.status = "Healthy" end
  health.message = ready.message
end
return health
