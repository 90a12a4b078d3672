select
    month,
    hour,
    count(*) as flights,
    cast(avg(case when is_late then 1.0 else 0.0 end) as double precision) as late_share
from {{ ref('flight_delays') }}
where arr_delay is not null
group by 1, 2
