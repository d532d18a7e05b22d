-- What queues are limited to: how many more of their runs may be claimed.
--
-- `gates` holds a line for each queue that is limited or paused, and one for the namespace under `*`:
-- `<open|paused> <concurrency or -> <runs or -> <per ms or -> ...`. `inuse` counts claims by queue;
-- `buckets` holds what is left of rates: `<level> <at>`, the level in runs times `per ms`.

-- Reads the gates of all queues that the call names: for each its name, how many claims it has room
-- for (`room`), and its bucket if it has a rate. `freed` counts the claims of each that the call takes
-- away.
local function read_gates(t, freed)
  local count = (#KEYS - TAIL) / 4
  local g = { names = {}, room = {}, rates = {}, limited = {}, count = count }
  if count == 0 then
    return g
  end
  for i = 1, count do
    g.names[i] = string.match(KEYS[TAIL + 4 * i], '}:wake:(.*)$')
    g.room[i] = math.huge
  end
  local gates = redis.call('HMGET', K.gates, '*', unpack(g.names))
  local paused = gates[1] and string.sub(gates[1], 1, 6) == 'paused'
  for i = 1, count do
    local gate = gates[i + 1]
    local state, most, runs, per = string.match(gate or '', '^(%S+) (%S+) (%S+) (%S+)')
    if tonumber(most) then
      g.limited[i] = true
      local used = tonumber(redis.call('HGET', K.inuse, g.names[i]) or '0') - (freed[i] or 0)
      g.room[i] = math.max(tonumber(most) - math.max(used, 0), 0)
    end
    runs, per = tonumber(runs), tonumber(per)
    if runs and per then
      local level, at =
        string.match(redis.call('HGET', K.buckets, g.names[i]) or '', '^(%d+) (%-?%d+)$')
      local brim = runs * per
      level = tonumber(level or brim)
      level = math.min(level + math.max(t - tonumber(at or t), 0) * runs, brim)
      g.rates[i] = { level, per, tonumber(at or t) > t }
      g.room[i] = math.min(g.room[i], math.floor(level / per))
    end
    if paused or state == 'paused' then
      g.room[i] = 0
    end
  end
  return g
end

-- Notes what a call claimed of each queue, and what it took away.
local function write_gates(g, t, claimed, freed)
  for i = 1, g.count do
    local more, less = claimed[i] or 0, freed[i] or 0
    if more ~= less then
      redis.call('HINCRBY', K.inuse, g.names[i], more - less)
    end
    local rate = g.rates[i]
    -- Where the clock stepped back, refilling goes on from where it stands now.
    if rate and (more > 0 or rate[3]) then
      redis.call('HSET', K.buckets, g.names[i], int(rate[1] - more * rate[2]) .. ' ' .. int(t))
    end
  end
end

-- Wakes nodes for runs of a queue that could be claimed now.
local function offer(g, i, waiting, claimed)
  local runs = math.min(waiting, g.room[i] - (claimed or 0))
  if runs > 0 then
    wake(4 * i, runs)
  end
end
