-- The hour that is repeated when the clocks go back has two rows.
select
    origin,
    cast(concat_ws('-', year, month, day) as date) as weather_date,
    hour,
    avg((temp - 32) * 5 / 9) as temperature_c,
    avg(wind_speed * 1.609344) as wind_kmh,
    avg(precip * 25.4) as rain_mm,
    avg(visib * 1.609344) as visibility_km
from {{ source('raw', 'raw_weather') }}
group by 1, 2, 3
