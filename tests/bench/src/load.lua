-- What wrk sends: every line of a file once, and again from the start. A line is a path, a bearer
-- token and a client's name; or POST, a path, a content type, the value of `authorization` (a dash
-- for none) and a body. Tabs stand in between.
local requests, count, at = {}, 0, 0

local function get(line)
  local path, token, client = line:match("^(%S+)\t(%S+)\t(%S+)$")
  local headers = { ["authorization"] = "Bearer " .. token, ["x-client"] = client }
  return wrk.format("GET", path, headers)
end

local function post(line)
  local path, kind, authorization, body = line:match("^POST\t(%S+)\t(%S+)\t([^\t]+)\t(.+)$")
  local headers = { ["content-type"] = kind }
  if authorization ~= "-" then
    headers["authorization"] = authorization
  end
  return wrk.format("POST", path, headers, body)
end

init = function(args)
  for line in io.lines(args[1]) do
    count = count + 1
    requests[count] = line:find("^POST\t") and post(line) or get(line)
  end
end

request = function()
  at = at % count + 1
  return requests[at]
end

-- One line for a program to read, whatever wrk's own report looks like.
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "\npostern-bench requests=%d microseconds=%d p50=%d p99=%d status=%d connect=%d read=%d write=%d timeout=%d\n",
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
